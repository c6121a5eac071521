"""Generated stubs of Pasarela's protocols: see the .proto files one folder up."""
