"""Representers: one function a type, which gives the form that an object is written in."""
