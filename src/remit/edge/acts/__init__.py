"""What people, services and the gateway itself do to what exists: one file per thing acted on.

An act checks that the one who asks may do it, asks a pure function what that means, and makes it true with one `Write`
that carries its receipt. The people's door and the offline command line run the same acts.
"""
