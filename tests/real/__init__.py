"""Tests against the mail software people really run, taken from Debian's packages and run from an unpacked tree."""
