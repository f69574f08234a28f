"""A small xDS server for tests: what it is told, it tells every Envoy.

It speaks ADS over gRPC on a port of 127.0.0.1 that it chooses. Standard input
has one JSON object a line, `{"type": ..., "version": ..., "resources": [...]}`:
the resources of a type from now on, as Envoy's configuration files have them,
with a "@type" in each. Standard output has one JSON object a line for what
happened:

    {"event": "listening", "port": 12345}
    {"event": "set", "type": ..., "version": ...}
    {"event": "ack", "node": ..., "type": ..., "version": ...}
    {"event": "nack", "node": ..., "type": ..., "version": ..., "error": ...}

`version` of a nack is the one that was refused. The server ends with its
standard input.
"""

import json
import queue
import sys
import threading
from concurrent import futures

import grpc
from envoy.config.core.v3 import extension_pb2
from envoy.config.route.v3 import route_pb2
from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool
from google.protobuf import json_format, wrappers_pb2

# Importing them is what lets their names stand in a "@type".
KNOWN = [extension_pb2, route_pb2, wrappers_pb2]


def define(package, name, /, **fields):
    """Defines a message that xds-protos has in an older version."""
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package}.{name}", package=package, syntax="proto3"
    )
    message = file.message_type.add(name=name)
    for field, (number, kind) in fields.items():
        entry = message.field.add(name=field, number=number, label=1)
        if kind in ("string", "bool"):
            entry.type = {"bool": 8, "string": 9}[kind]
        else:
            entry.type, entry.type_name = 11, f".{kind}"
            used = descriptor_pool.Default().FindMessageTypeByName(kind)
            file.dependency.append(used.file.name)
    descriptor_pool.Default().Add(file)


define(
    "envoy.extensions.dynamic_modules.v3",
    "DynamicModuleConfig",
    name=(1, "string"),
    do_not_close=(3, "bool"),
    metrics_namespace=(5, "string"),
)
for message in ("DynamicModuleFilter", "DynamicModuleFilterPerRoute"):
    define(
        "envoy.extensions.filters.http.dynamic_modules.v3",
        message,
        dynamic_module_config=(
            1,
            "envoy.extensions.dynamic_modules.v3.DynamicModuleConfig",
        ),
        filter_config=(3, "google.protobuf.Any"),
        filter_name=(2 if message == "DynamicModuleFilter" else 4, "string"),
    )


class State:
    """The resources of each type, and the streams that are told of them."""

    def __init__(self):
        self.lock = threading.Lock()
        self.current = {}
        self.streams = []

    def set(self, kind, version, resources):
        messages = []
        for resource in resources:
            message = any_pb2.Any()
            json_format.ParseDict(resource, message)
            messages.append(message)
        with self.lock:
            self.current[kind] = (version, messages)
            streams = list(self.streams)
        report(event="set", type=kind, version=version)
        for stream in streams:
            stream.put(kind)

    def get(self, kind):
        with self.lock:
            return self.current.get(kind)


OUTPUT = threading.Lock()


def report(**event):
    with OUTPUT:
        print(json.dumps(event), flush=True)


class Ads(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):
    def __init__(self, state):
        self.state = state

    def StreamAggregatedResources(self, requests, context):
        changes = queue.Queue()
        with self.state.lock:
            self.state.streams.append(changes)
        wanted = set()
        sent = {}
        thread = threading.Thread(
            target=self.read, args=(requests, changes, wanted), daemon=True
        )
        thread.start()
        count = 0
        while (kind := changes.get()) is not None:
            current = self.state.get(kind)
            if kind not in wanted or current is None:
                continue
            version, resources = current
            if sent.get(kind) == version:
                continue
            sent[kind] = version
            count += 1
            yield discovery_pb2.DiscoveryResponse(
                version_info=version,
                resources=resources,
                type_url=kind,
                nonce=f"{count} {version}",
            )

    def read(self, requests, changes, wanted):
        node = ""
        try:
            for request in requests:
                # Only the first request of a stream says who asks.
                node = request.node.id or node
                kind = request.type_url
                if request.response_nonce:
                    version = request.response_nonce.split(" ", 1)[1]
                    if request.HasField("error_detail"):
                        report(
                            event="nack",
                            node=node,
                            type=kind,
                            version=version,
                            error=request.error_detail.message,
                        )
                    else:
                        report(event="ack", node=node, type=kind, version=version)
                wanted.add(kind)
                changes.put(kind)
        except grpc.RpcError:
            # The Envoy has gone.
            pass
        finally:
            with self.state.lock:
                self.state.streams.remove(changes)
            changes.put(None)


def main():
    state = State()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=16))
    ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server(
        Ads(state), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    report(event="listening", port=port)
    for line in sys.stdin:
        told = json.loads(line)
        state.set(told["type"], told["version"], told["resources"])
    server.stop(None)


if __name__ == "__main__":
    main()
