"""What `make release`, `make wheels` and `make release-check` do: a release is built, described and verified here."""
