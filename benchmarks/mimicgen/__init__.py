"""MimicGen generates from demonstrations with our boundaries and with the true ones: what is lost?

Two environments work together. Where MimicGen can be imported: `policies`, `arm` (scripted
demonstrations), `record`, `generate`. Where Kairoscope is installed: the rest.
`../README.md` says how to make the former and what is measured.
"""
