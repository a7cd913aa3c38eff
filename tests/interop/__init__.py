"""amsmail together with the mail software that people use. What is shown here is told in docs/INTEROP."""
