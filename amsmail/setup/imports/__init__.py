"""Reading what other programs have: accounts, users, mail.  What cannot be taken over is listed."""
