"""The native engine: packages installed by the package managers themselves, in the sandbox, then made into layers."""
