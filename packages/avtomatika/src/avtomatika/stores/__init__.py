"""Adapters of the store port. Data only; no rule of jobs lives here."""
