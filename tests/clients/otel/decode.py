"""Reads requests for traces as OpenTelemetry's own Python messages have them: one a line, in hexadecimal digits, from
standard input. Each becomes a line of JSON; a request with a field that the messages do not know ends the program."""

import sys

from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

for line in sys.stdin:
    sent = bytes.fromhex(line)
    request = ExportTraceServiceRequest.FromString(sent)
    known = ExportTraceServiceRequest.FromString(sent)
    known.DiscardUnknownFields()
    if request.SerializeToString() != known.SerializeToString():
        sys.exit("a field of the request is not known")
    print(MessageToJson(request, indent=None))
