"""Tests of the values of the protocols."""
