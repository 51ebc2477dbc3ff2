"""What arrives on the wire, one module per format: a decoded message in, triggers or a reason to ignore it out.

Every parser is ``parse(payload, attributes, context)``, pure, and raises BadMessage alone: no message of any
shape may make a parser fail in another way.
"""
