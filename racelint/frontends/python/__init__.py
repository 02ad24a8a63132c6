"""The Python front end: one hand-written walk over the LibCST tree. Nobody else imports libcst."""
