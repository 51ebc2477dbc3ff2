"""A Pub/Sub for one machine, which the real clients use through ``PUBSUB_EMULATOR_HOST``.

``PubSubServer`` is the whole of it: topics, subscriptions with filters, ordering, retry and dead letters, pull,
streaming pull, push in the shape of Pub/Sub's own, and a state folder that survives a restart.
"""

from local.servers.pubsub.service import PubSubServer

__all__ = ["PubSubServer"]
