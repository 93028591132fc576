"""Where bytes live and how they move: memory, image layouts, repositories, and one ``copy`` between them."""
