"""What several rooms need and none of them owns: checks, threads, memory, compiling, safe files, a quiet Ray."""
