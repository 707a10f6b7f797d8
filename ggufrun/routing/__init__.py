"""Routes: one name for several engines. The first answers; others where it cannot, or where its answer is doubtful."""
