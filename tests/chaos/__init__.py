"""The crash harness: a real gateway under load, killed at named and at random places, and a checker."""
