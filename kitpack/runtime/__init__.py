"""Inside an application: bundles loaded, prompts served with their identity, models called."""
