"""The doctor: one module for each kind of thing that goes wrong; checkup has the table of them."""
