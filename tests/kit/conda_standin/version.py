"""The version that this stand-in answers with; packaging writes the line anew for each version it offers."""

VERSION = "0.0.0"
