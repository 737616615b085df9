"""Ensembles of networks for whole tables: what they are made of, how they are trained, and what they predict."""
