"""What Agno reads and stores alongside its calls: sessions, records, knowledge, media, memories."""
