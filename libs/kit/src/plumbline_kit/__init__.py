"""How any Plumbline service runs: errors, settings, logs, telemetry, auth, rpc, bus and lifecycle."""
