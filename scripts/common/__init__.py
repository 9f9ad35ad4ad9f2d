"""Small things that every room needs: errors for people, atomic files, the frame of a job."""
