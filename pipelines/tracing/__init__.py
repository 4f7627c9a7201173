"""Traces for a viewer that the house has, by OpenTelemetry; nothing leaves it unless it says where to."""
