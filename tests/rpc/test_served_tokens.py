"""Tokens as clients meet them: which calls take which, and what is told to who has none, or another."""

import contextlib
import hashlib
import os
import secrets
import signal
import threading
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from pasarela_proto import detection_pb2, inference_pb2_grpc
from pasarela_proto import inference_pb2 as pb
from tests.certificates import Authority
from tests.server_log import wait_for_log

GROUPS = ("inference", "control", "observability")
TOKENS = {group: secrets.token_hex(16) for group in (*GROUPS, "all")}
PATIENCE_S = 30

REQUESTS = {
    "ServerLive": pb.ServerLiveRequest(),
    "ServerReady": pb.ServerReadyRequest(),
    "ModelReady": pb.ModelReadyRequest(name="m"),
    "ServerMetadata": pb.ServerMetadataRequest(),
    "ModelMetadata": pb.ModelMetadataRequest(name="m"),
    "ModelConfig": pb.ModelConfigRequest(name="m"),
    "ModelInfer": pb.ModelInferRequest(model_name="m"),
    "ModelStreamInfer": pb.ModelInferRequest(model_name="m"),
    "ModelStatistics": pb.ModelStatisticsRequest(),
    "RepositoryIndex": pb.RepositoryIndexRequest(),
    "RepositoryModelLoad": pb.RepositoryModelLoadRequest(model_name="m"),
    "RepositoryModelUnload": pb.RepositoryModelUnloadRequest(model_name="m"),
    "SystemSharedMemoryStatus": pb.SystemSharedMemoryStatusRequest(),
    "SystemSharedMemoryRegister": pb.SystemSharedMemoryRegisterRequest(name="r"),
    "SystemSharedMemoryUnregister": pb.SystemSharedMemoryUnregisterRequest(name="r"),
    "CudaSharedMemoryStatus": pb.CudaSharedMemoryStatusRequest(),
    "CudaSharedMemoryRegister": pb.CudaSharedMemoryRegisterRequest(name="r"),
    "CudaSharedMemoryUnregister": pb.CudaSharedMemoryUnregisterRequest(name="r"),
    "TraceSetting": pb.TraceSettingRequest(),
    "LogSettings": pb.LogSettingsRequest(),
    "Detect": detection_pb2.DetectRequest(model_name="m"),
    "StreamDetect": detection_pb2.StreamDetectRequest(frame_index=1),
}

TAKES = [  # which token each call takes
    # reason: probes have no token
    ("ServerLive", {None, *GROUPS}),
    ("ServerReady", {None, *GROUPS}),
    ("ModelReady", {None, *GROUPS}),
    # reason: what serving is for
    ("ModelInfer", {"inference"}),
    ("ModelStreamInfer", {"inference"}),
    ("Detect", {"inference"}),
    ("StreamDetect", {"inference"}),
    # reason: clients ask for it before they infer
    ("ServerMetadata", {"inference", "observability"}),
    ("ModelMetadata", {"inference", "observability"}),
    ("ModelConfig", {"inference", "observability"}),
    # reason: what others send and how much
    ("ModelStatistics", {"observability"}),
    # reason: who changes it has to see it
    ("RepositoryIndex", {"observability", "control"}),
    ("SystemSharedMemoryStatus", {"observability", "control"}),
    ("CudaSharedMemoryStatus", {"observability", "control"}),
    ("TraceSetting", {"observability", "control"}),
    ("LogSettings", {"observability", "control"}),
    # reason: changes the server for everybody
    ("RepositoryModelLoad", {"control"}),
    ("RepositoryModelUnload", {"control"}),
    ("SystemSharedMemoryRegister", {"control"}),
    ("SystemSharedMemoryUnregister", {"control"}),
    ("CudaSharedMemoryRegister", {"control"}),
    ("CudaSharedMemoryUnregister", {"control"}),
]


def write_tokens(path, tokens):
    """One token named by itself, one by its hash: both ways are tried at each test."""
    lines = [f"{group} {token}" for group, token in tokens.items()]
    hashed = hashlib.sha256(tokens["control"].encode()).hexdigest()
    lines[1] = f"control sha256:{hashed}"
    path.write_text("\n".join(["# tokens of the tests", "", *lines, ""]))
    path.chmod(0o600)


@pytest.fixture(scope="module")
def tokens_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokens") / "tokens"
    write_tokens(path, TOKENS)
    return path


@pytest.fixture(scope="module", params=[0, 2], ids=["one process", "two fronts"])
def guarded(request, start_server, tmp_path_factory, tokens_file):
    """A server that asks for tokens, without models; shared by tests that leave it as it is."""
    empty = tmp_path_factory.mktemp("empty")
    flags = ("--auth-tokens-file", str(tokens_file), "--frontends", str(request.param))
    with start_server(empty, "--allow-empty-repository", *flags) as running:
        yield running


def bearing(token):
    return () if token is None else (("authorization", f"Bearer {token}"),)


def outcome(stubs, method, metadata, request=None):
    """The status of one call, and what is told with it; of streams, of their first reply."""
    service = stubs.detection if hasattr(stubs.detection, method) else stubs.inference
    sent = REQUESTS[method] if request is None else request
    streams = method in ("ModelStreamInfer", "StreamDetect")
    try:
        call = getattr(service, method)(iter([sent]) if streams else sent, metadata=metadata, timeout=PATIENCE_S)
        if streams:
            next(call)
    except grpc.RpcError as error:
        return error.code(), error.details()
    return grpc.StatusCode.OK, ""


def test_the_table_names_every_method():
    files = (pb.DESCRIPTOR, detection_pb2.DESCRIPTOR)
    methods = {m.name for file in files for service in file.services_by_name.values() for m in service.methods}
    assert {method for method, _ in TAKES} == methods == set(REQUESTS)


REFUSALS = {grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED}


@pytest.mark.parametrize(("method", "takes"), TAKES)
def test_each_call_takes_the_tokens_of_its_groups_and_no_others(guarded, stubs_for, method, takes):
    stubs = stubs_for(guarded.address)
    for group in (None, *GROUPS):
        code, _ = outcome(stubs, method, bearing(TOKENS.get(group)))
        assert (code not in REFUSALS) == (group in takes), (group, code)
    code, _ = outcome(stubs, method, bearing(TOKENS["all"]))
    assert code not in REFUSALS


@pytest.mark.parametrize(
    ("metadata", "code", "words"),
    [
        pytest.param((), "UNAUTHENTICATED", "expected one metadata 'authorization: Bearer TOKEN', got none", id="none"),
        pytest.param(bearing("x" * 32), "UNAUTHENTICATED", "does not know the token", id="unknown"),
        pytest.param(bearing(TOKENS["inference"][:-1]), "UNAUTHENTICATED", "does not know the token", id="cut short"),
        pytest.param(bearing(""), "UNAUTHENTICATED", "does not know the token", id="empty"),
        pytest.param(bearing("sha256:" + hashlib.sha256(TOKENS["control"].encode()).hexdigest()), "UNAUTHENTICATED",
                     "does not know the token", id="the hash that the file holds"),
        pytest.param((("authorization", "Basic " + TOKENS["inference"]),), "UNAUTHENTICATED", "does not know",
                     id="another scheme"),
        pytest.param((("authorization", TOKENS["inference"]),), "UNAUTHENTICATED", "does not know", id="no scheme"),
        pytest.param((*bearing(TOKENS["inference"]), *bearing("x")), "UNAUTHENTICATED", "got 2 of them", id="two"),
        pytest.param(bearing(TOKENS["control"]), "PERMISSION_DENIED",
                     "ModelInfer takes a token for inference; this one is for control", id="of another group"),
        pytest.param((("authorization", "bearer  " + TOKENS["inference"]),), "NOT_FOUND", "'m'",
                     id="the scheme in small letters, and a space more"),
    ],
)  # fmt: skip
def test_what_is_told(guarded, stubs_for, metadata, code, words):
    found, told = outcome(stubs_for(guarded.address), "ModelInfer", metadata)
    assert (found.name, words in told) == (code, True), told
    assert all(token not in told for token in TOKENS.values())


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(pb.LogSettingsRequest(settings={"log_verbose_level": {"uint32_param": 1}}), id="log"),
        pytest.param(pb.TraceSettingRequest(settings={"trace_rate": {"value": ["7"]}}), id="trace"),
        pytest.param(pb.TraceSettingRequest(settings={"trace_rate": {}}), id="trace, back to what it was"),
    ],
)
def test_settings_are_read_by_observability_and_changed_by_control(guarded, stubs_for, request_):
    stubs, method = stubs_for(guarded.address), type(request_).__name__.removesuffix("Request")
    code, told = outcome(stubs, method, bearing(TOKENS["observability"]), request_)
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert told == f"changing settings: {method} takes a token for control; this one is for observability"
    code, told = outcome(stubs, method, bearing(TOKENS["control"]), request_)
    assert code not in REFUSALS, told


def test_a_stream_is_refused_before_its_first_message(guarded, stubs_for):
    """The client waits for an answer with nothing sent."""
    stubs = stubs_for(guarded.address)
    with never_sending(stubs.inference.ModelStreamInfer) as call, pytest.raises(grpc.RpcError) as refused:
        next(call)
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


@contextlib.contextmanager
def never_sending(method):
    """A stream whose client sends nothing, and ends with the block."""
    ended = threading.Event()

    def nothing():
        ended.wait()
        yield from ()

    yield method(nothing(), timeout=PATIENCE_S)
    ended.set()


def test_health_is_open_and_reflection_takes_any_token(guarded, stubs_for):
    stubs = stubs_for(guarded.address)
    assert stubs.health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
    watch = stubs.health.Watch(health_pb2.HealthCheckRequest())
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()
    with pytest.raises(grpc.RpcError) as refused:
        ProtoReflectionDescriptorDatabase(stubs.channel).get_services()
    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_unknown_methods_are_unimplemented_as_ever(guarded, stubs_for):
    with pytest.raises(grpc.RpcError) as refused:
        stubs_for(guarded.address).channel.unary_unary("/no.such.Service/Call")(b"")
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("fronts", [0, 2])
def test_tokens_are_exchanged_while_it_runs(start_server, stubs_for, tmp_path, fronts):
    path = tmp_path / "tokens"
    write_tokens(path, TOKENS)
    flags = ("--auth-tokens-file", str(path), "--frontends", str(fronts), "--log-verbose", "1")
    with start_server(tmp_path, "--allow-empty-repository", *flags) as running:
        assert "(tokens), metrics on" in running.report
        stubs = stubs_for(running.address)
        stream = stubs.inference.ModelStreamInfer(
            iter([REQUESTS["ModelStreamInfer"]] * 2), metadata=bearing(TOKENS["inference"])
        )
        assert "'m'" in next(stream).error_message

        path.write_text("inference\n")
        refused = wait_for_log(running, r"ERROR +the tokens have changed, and those from before stay in force: (.*)")
        assert refused[1].startswith(f"--auth-tokens-file {path}: line 1: expected two words")
        assert outcome(stubs, "ServerMetadata", bearing(TOKENS["inference"]))[0] is grpc.StatusCode.OK

        fresh = {group: secrets.token_hex(16) for group in TOKENS}
        write_tokens(path, fresh)
        wait_for_log(running, "the tokens have changed and are in force", 1 + fronts)
        assert outcome(stubs, "ServerMetadata", bearing(fresh["inference"]))[0] is grpc.StatusCode.OK
        assert outcome(stubs, "ServerMetadata", bearing(TOKENS["inference"]))[0] is grpc.StatusCode.UNAUTHENTICATED
        assert "'m'" in next(stream).error_message, "a stream that was let in goes on"
        log = running.log.read_text()
        assert all(token not in log for token in (*TOKENS.values(), *fresh.values()))
        assert "tokens travel in plain text" in log


def test_tokens_over_tls(start_server, tmp_path, tokens_file):
    """The way it is meant: call credentials, which gRPC's clients send over TLS only."""
    authority = Authority(tmp_path / "authority")
    flags = (*authority.server_flags(authority.issue("server"), mutual=True), "--auth-tokens-file", str(tokens_file))
    client = authority.issue("client")
    with start_server(tmp_path, "--allow-empty-repository", *flags) as running:
        assert "(mutual TLS and tokens), metrics on" in running.report
        assert running.report.endswith(
            " --tls-ca <authority> --tls-cert <certificate> --tls-key <key> --token-file <token>\n"
        )
        assert "plain text" not in running.log.read_text()
        tls = grpc.ssl_channel_credentials(
            authority.certificate.read_bytes(), client.key.read_bytes(), client.certificate.read_bytes()
        )
        call = grpc.access_token_call_credentials(TOKENS["inference"])
        with grpc.secure_channel(running.address, grpc.composite_channel_credentials(tls, call)) as channel:
            stub = inference_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert stub.ServerMetadata(pb.ServerMetadataRequest()).name == "pasarela"
            with pytest.raises(grpc.RpcError) as refused:
                stub.ModelStatistics(pb.ModelStatisticsRequest())
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


@pytest.mark.parametrize("fronts", [0, 2])
def test_restricted_protocols_as_tritonserver_has_them(start_server, stubs_for, tmp_path, fronts, monkeypatch):
    monkeypatch.setenv("PASARELA_GRPC_RESTRICTED_PROTOCOL", "health,inference:infer-key=infer-value,trace:admin=s3cret")
    with start_server(tmp_path, "--allow-empty-repository", "--frontends", str(fronts)) as running:
        assert "(restricted protocols), metrics on" in running.report
        stubs = stubs_for(running.address)
        right = (("triton-grpc-protocol-infer-key", "infer-value"),)
        for method in ("ServerLive", "ModelInfer", "ModelStreamInfer", "Detect"):
            for metadata in ((), (("triton-grpc-protocol-infer-key", "another"),), (("infer-key", "infer-value"),)):
                assert outcome(stubs, method, metadata) == (
                    grpc.StatusCode.UNAVAILABLE,
                    "This protocol is restricted, expecting header 'triton-grpc-protocol-infer-key'",
                )
            assert "restricted" not in outcome(stubs, method, right)[1]
        assert outcome(stubs, "ServerMetadata", ()) == (grpc.StatusCode.OK, ""), "it is not restricted"
        assert "triton-grpc-protocol-admin" in outcome(stubs, "TraceSetting", right)[1]
        assert "s3cret" not in running.log.read_text()
        server = running.process.pid
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        assert len(children) == fronts
        for pid in (server, *children):
            assert b"s3cret" not in Path(f"/proc/{pid}/cmdline").read_bytes(), "others on this machine can read it"


def test_a_front_that_is_started_again_asks_as_before(start_server, stubs_for, tmp_path, tokens_file):
    flags = ("--auth-tokens-file", str(tokens_file), "--frontends", "1")
    with start_server(tmp_path, "--allow-empty-repository", *flags) as running:
        server = running.process.pid
        (front,) = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        os.kill(int(front), signal.SIGKILL)
        wait_for_log(running, r"front 0 \(process \d+\) listens")
        stubs = stubs_for(running.address)
        assert outcome(stubs, "ServerMetadata", ())[0] is grpc.StatusCode.UNAUTHENTICATED
        assert outcome(stubs, "ServerMetadata", bearing(TOKENS["inference"]))[0] is grpc.StatusCode.OK
