"""Tests of the engines, alone, wired to each other, and by dialogues that run four ways."""
