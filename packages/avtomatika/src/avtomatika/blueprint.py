"""Blueprints, under the path that programs import them from."""

from avtomatika.blueprints.blueprint import Blueprint, StateMachineBlueprint

__all__ = ["Blueprint", "StateMachineBlueprint"]
