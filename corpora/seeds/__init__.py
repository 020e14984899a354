"""Human-written tasks that Self-Instruct starts from; LICENSE and NOTICE beside this file are theirs."""
