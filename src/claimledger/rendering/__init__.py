"""The paper as HTML, PDF, DOCX and JATS: by Quarto, or without it by pandoc and typst."""
