-- A notebook rendered by itself is outside Quarto's project: neither our first step nor our filter
-- runs, and the page would be one of code without results. It stops, and says where the results are.

local name = pandoc.path.filename(quarto.doc.input_file)
local stem = pandoc.path.split_extension(name)

return { {
  Pandoc = function()
    io.stderr:write(([[
ERROR: notebooks/%s
  found:    a notebook rendered by itself, which Quarto does outside the project, without its results
  expected: the paper, whose render also makes the pages of the notebooks
  to mend:  quarto render; then read _manuscript/build/notebooks/%s-preview.html
]]):format(name, stem))
    os.exit(1)
  end,
} }
