"""The sandbox: commands of a build, shut in with the target's own root: no network, nothing of the host in sight."""
