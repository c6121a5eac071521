"""Prints the descriptors of protobuf modules as JSON, without file names and comments: MODULE…"""

import importlib
import json
import sys

from google.protobuf import descriptor_pb2


def describe_message(prefix: str, message: descriptor_pb2.DescriptorProto, into: dict[str, object]) -> None:
    """Adds a message and all that is nested in it."""
    name = f"{prefix}.{message.name}"
    into[name] = {
        "fields": {
            field.name: {
                "number": field.number,
                "type": descriptor_pb2.FieldDescriptorProto.Type.Name(field.type),
                "label": descriptor_pb2.FieldDescriptorProto.Label.Name(field.label),
                "type_name": field.type_name,
                "oneof": message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None,
                "optional": field.proto3_optional,
            }
            for field in message.field
        },
        "map_entry": message.options.map_entry,
    }
    for nested in message.nested_type:
        describe_message(name, nested, into)
    for enum in message.enum_type:
        into[f"{name}.{enum.name}"] = {value.name: value.number for value in enum.value}


def describe(module: str) -> dict[str, object]:
    """Everything that a module declares, by full name."""
    file = descriptor_pb2.FileDescriptorProto()
    importlib.import_module(module).DESCRIPTOR.CopyToProto(file)
    found: dict[str, object] = {}
    for message in file.message_type:
        describe_message(file.package, message, found)
    for enum in file.enum_type:
        found[f"{file.package}.{enum.name}"] = {value.name: value.number for value in enum.value}
    for service in file.service:
        for method in service.method:
            found[f"{file.package}.{service.name}/{method.name}"] = {
                "input": method.input_type,
                "output": method.output_type,
                "streams": [method.client_streaming, method.server_streaming],
            }
    return found


def main() -> None:
    """Prints what all the modules declare."""
    found: dict[str, object] = {}
    for module in sys.argv[1:]:
        found |= describe(module)
    print(json.dumps(found, sort_keys=True))


if __name__ == "__main__":
    main()
