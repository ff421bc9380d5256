"""The findings: small kernels that no kept library has, each checked against another program."""
