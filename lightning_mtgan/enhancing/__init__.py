"""The command ``enhance``: photographs of any size made better, by a network or by a fixed rule, in bounded memory."""
