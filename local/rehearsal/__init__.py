"""The rehearsal: a year of real flights replayed against the system that deploys to the cloud.

Nothing here decides anything about retraining. It plays the world outside: passengers' requests, the warehouse team
that loads labelled rows (and sometimes breaks them), an operator who publishes a message, and the clock.
"""
