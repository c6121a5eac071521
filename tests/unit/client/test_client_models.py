from typing import Any

import pytest

from pasarela_client import Detector, ModelNotFound, ServerUnreachable
from pasarela_client.control import Server
from pasarela_client.models import TensorSpec, parse_class_names


def test_models_by_name_and_version(server: Any) -> None:
    with Server(server.url) as asked:
        states = asked.models()
    assert [(state.name, state.version, state.ready) for state in states] == [
        ("broken", "", False),
        ("skirts", "9", False),
        ("skirts", "10", True),
        ("waiting", "", False),
    ]
    assert states[-1].state == "UNKNOWN", "of what was never loaded a server says nothing but the name"
    assert states[0].reason == "config.pbtxt:3:7: no such field"


def test_a_model_describes_itself(server: Any) -> None:
    with Server(server.url) as asked:
        model = asked.describe("skirts")
    assert (model.name, model.versions, model.platform) == ("skirts", ("10",), "openvino")
    assert model.inputs == (TensorSpec("images", "FP32", (-1, 3, 320, 320)),)
    assert model.class_names == {0: "women's skirt", 1: "top"}


def test_a_detection_model_has_the_names_of_the_model_under_it(server: Any) -> None:
    with Detector(server.url, "finder") as detector:
        assert detector.names == {0: "women's skirt", 1: "top"}


def test_the_names_come_from_a_server_that_is_there(server: Any, unused_url: str) -> None:
    for urls in ([server.url, unused_url], [unused_url, server.url]):
        with Detector(urls, "finder", retries=0) as detector:
            assert detector.names == {0: "women's skirt", 1: "top"}
    with Detector(unused_url, "finder", retries=0) as detector, pytest.raises(ServerUnreachable, match=unused_url):
        assert detector.names


def test_an_unknown_model(server: Any) -> None:
    with Server(server.url) as asked, pytest.raises(ModelNotFound, match="'nothing'"):
        asked.describe("nothing")


def test_nobody_there(unused_url: str) -> None:
    with Server(unused_url) as asked, pytest.raises(ServerUnreachable, match=unused_url):
        asked.models()


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ("{'names': {0: 'a', 7: 'b'}}", {0: "a", 7: "b"}),
        ("{'names': ['a', 'b']}", {0: "a", 1: "b"}),
        ("{'stride': 32}", {}),
        ("", {}),
        ("{not python", {}),
        ("[1]", {}),
        ("__import__('os').getcwd()", {}),
        ("{'names': 5}", {}),
    ],
    ids=["dictionary", "list", "no names", "nothing", "no literal", "a list of numbers", "code", "a number"],
)
def test_class_names_from_metadata(metadata: str, names: dict[int, str]) -> None:
    assert parse_class_names(metadata) == names
