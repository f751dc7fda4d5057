"""Optimiser steps: what each learns from, and how that becomes gradients."""
