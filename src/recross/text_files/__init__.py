"""How text files of others are read: one way to their lines, ids, numbers and objects."""
