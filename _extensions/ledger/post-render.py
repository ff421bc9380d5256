"""After Quarto has rendered: mend what it leaves, and stop if anything is unresolved."""

from engine import run

run("claimledger.rendering.quarto")
