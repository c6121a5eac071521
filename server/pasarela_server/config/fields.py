"""Which fields of config.pbtxt Pasarela honours: one table, from which refusals and documentation are made.

A field that is set and not honoured is refused by name. What protobuf cannot tell from unset (`false`, `0`, an empty
message around them) asks for nothing and passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from pasarela_server.errors import InvalidModel

HONOURED: dict[str, str] = {
    "name": "must equal the name of the model's folder",
    "platform": "onnxruntime_onnx and pytorch_libtorch, as other names of the backends",
    "backend": "onnxruntime, openvino, pytorch, detection or nms; completed from the model file",
    "version_policy.latest.num_versions": "serve the highest versions",
    "version_policy.all": "serve every version",
    "version_policy.specific.versions": "serve these versions",
    "max_batch_size": "rows of one batch; completed to 4 where the model file can batch",
    "input.name": "checked against the model file",
    "input.data_type": "checked against the model file, completed from it",
    "input.format": "told to clients; an image has three dims",
    "input.dims": "without the batch dimension; checked against the model file, completed from it",
    "output.name": "checked against the model file; outputs that are left out of the list are not offered",
    "output.data_type": "checked against the model file, completed from it",
    "output.dims": "without the batch dimension; checked against the model file, completed from it",
    "output.label_filename": "class names, one a line, in the model's folder",
    "dynamic_batching.preferred_batch_size": "batch sizes that leave at once",
    "dynamic_batching.max_queue_delay_microseconds": "how long the oldest request waits for a batch to grow",
    "dynamic_batching.preserve_ordering": "answers leave in the order of the requests",
    "dynamic_batching.priority_levels": "levels that the request parameter `priority` may name; 1 is the most urgent",
    "dynamic_batching.default_priority_level": "of requests that name none, or one that does not exist",
    "dynamic_batching.default_queue_policy.max_queue_size": "requests that may wait; 256 if it is left out",
    "dynamic_batching.default_queue_policy.default_timeout_microseconds": "how long a request may wait",
    "dynamic_batching.default_queue_policy.timeout_action": "REJECT: one that waited longer is refused; DELAY: it goes "
    "behind all others of its level",
    "dynamic_batching.default_queue_policy.allow_timeout_override": "told to clients; their `timeout` counts anyway",
    "dynamic_batching.priority_queue_policy": "the same for single levels",
    "instance_group.name": "a name for people",
    "instance_group.kind": "KIND_AUTO, KIND_CPU, KIND_GPU; KIND_MODEL is as KIND_AUTO; groups must be of one kind",
    "instance_group.count": "instances, those of several groups added up; completed from the cores",
    "instance_group.gpus": "the GPU to run on; one",
    "default_model_filename": "the model file, where several lie in the folder",
    "optimization.execution_accelerators.gpu_execution_accelerator": "for onnxruntime on a GPU: `tensorrt` and `cuda`, "
    "with the parameters that Triton's backend takes, "
    "but for those that name files, libraries or addresses (`trt_engine_cache_path`) and `trt_cuda_graph_enable`; "
    "`enable_cuda_graph` of `cuda` records CUDA graphs",
    "model_warmup": "requests to run before the model is READY; without it zeros in each batch size",
    "parameters": "handed to the backend, or to the detection model, and told to clients; `isolation`, `process` or "
    "`none`, wins over the server's flag",
}
"""What is honoured, and how. A path without a dot below a message honours everything in it."""

REFUSED: dict[str, str] = {
    "runtime": "name the framework with `backend`",
    "input.reshape": "export the model with the shape that clients should send",
    "input.is_shape_tensor": "",
    "input.allow_ragged_batch": "",
    "input.optional": "every input must be sent",
    "input.is_non_linear_format_io": "",
    "output.reshape": "export the model with the shape that clients should get",
    "output.is_shape_tensor": "",
    "output.is_non_linear_format_io": "",
    "batch_input": "",
    "batch_output": "",
    "optimization.graph": "graphs are optimised as far as the framework can",
    "optimization.priority": "",
    "optimization.cuda": "say what the backend should do with `parameters`",
    "optimization.execution_accelerators.cpu_execution_accelerator": "serve the model with the backend openvino",
    "optimization.input_pinned_memory": "",
    "optimization.output_pinned_memory": "",
    "optimization.gather_kernel_buffer_threshold": "",
    "optimization.eager_batching": "",
    "sequence_batching": "models that keep state between requests are not served",
    "ensemble_scheduling": 'a detection model (`backend: "detection"`) runs images through a raw model',
    "instance_group.rate_limiter": "",
    "instance_group.secondary_devices": "",
    "instance_group.profile": "",
    "instance_group.passive": "",
    "instance_group.host_policy": "",
    "cc_model_filenames": "name the model file with `default_model_filename`",
    "metric_tags": "",
    "model_operations": "",
    "model_transaction_policy.decoupled": "every request has one answer",
    "model_repository_agents": "",
    "response_cache.enable": "",
    "model_metrics": "",
}
"""What is refused, and what to do instead. A path of a message refuses everything in it."""


def refuse_unsupported(config: Message, source: str) -> None:
    """Refuses a configuration that asks for something that Pasarela does not do.

    Args:
        config: A `ModelConfig` as it was written.
        source: What messages call it: its path relative to the repository.

    Raises:
        InvalidModel: A field is set that is not honoured; the message names it and says what to do.
    """
    for path in _asked_for(config, ""):
        if path not in HONOURED:
            instead = REFUSED.get(path)
            raise InvalidModel(
                f"{source}: field {path!r} is not supported by Pasarela; remove it"
                + (f" ({instead})" if instead else "")
            )


def _asked_for(message: Message, prefix: str) -> Iterator[str]:
    """Paths of the fields that are set, down to those which the tables know and to scalars."""
    for descriptor, value in message.ListFields():
        path = prefix + descriptor.name
        if path in HONOURED or path in REFUSED or descriptor.message_type is None:
            yield path
        else:
            for part in _messages(value):
                yield from _asked_for(part, path + ".")


def _messages(value: Any) -> Iterator[Message]:
    if isinstance(value, Message):
        yield value
    else:
        yield from value
