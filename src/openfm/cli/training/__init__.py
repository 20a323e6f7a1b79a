"""``openfm train`` on files: what is read, what is shown meanwhile, what comes out."""
