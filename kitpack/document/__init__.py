"""What authors write by hand: YAML and JSON as trees that know their places, and schemas that explain themselves."""
