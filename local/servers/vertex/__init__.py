"""Vertex AI on one machine, for the installed Google clients as they are.

Jobs and trials run as local processes with Vertex AI's environment, deployed models are served by real model
servers, and requests follow the endpoint's traffic split. Every request is parsed into the client's own message
type, and the documented rules hold, so that what is refused here would be refused by Google.

Clients over REST::

    aiplatform.init(project=P, location=R, api_endpoint=server.rest, api_transport="rest",
                    credentials=AnonymousCredentials())

Clients over gRPC::

    transport = JobServiceClient.get_transport_class("grpc")
    JobServiceClient(transport=transport(channel=grpc.insecure_channel(server.grpc)))
"""

from local.servers.vertex.server import Config, VertexServer

__all__ = ["Config", "VertexServer"]
