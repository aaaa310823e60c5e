"""Text models of newer model lines, by the classes packs tell them by."""
