"""Side by side with the bare commands and with other tools: `invoke bench`. See NOTES.md, and docs/performance.md."""
