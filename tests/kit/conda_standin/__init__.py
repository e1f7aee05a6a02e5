"""A stand-in for conda's command line over py-rattler.

It speaks the part of conda 26.7's interface that configuration management and people's daily use need: the
same subcommands, options, exit codes and JSON shapes. It says of itself that it is not conda.
"""

BANNER = "conda stand-in from the offline kit: not conda"
