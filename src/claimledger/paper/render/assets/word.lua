-- Captions as Word has them: a field that counts, so that figures and tables can be listed.

local word = {}
local BOLD = '<w:r><w:rPr><w:b/><w:bCs/></w:rPr><w:t xml:space="preserve">%s</w:t></w:r>'

function word.label(name, number)
  local field = '<w:fldSimple w:instr=" SEQ %s \\* ARABIC ">%s</w:fldSimple>'
  return pandoc.RawInline("openxml", BOLD:format(name .. "\u{a0}")
    .. field:format(name, BOLD:format(number)) .. BOLD:format(":"))
end

function word.exhibit(id, kind, caption, body)
  local attr = pandoc.Attr(id)
  if kind == "fig" then return { pandoc.Figure(body, { long = { pandoc.Plain(caption) } }, attr) } end
  return body:walk({
    Table = function(tab)
      tab.caption, tab.attr = { long = { pandoc.Plain(caption) } }, attr
      return tab
    end,
  })
end

-- Word takes the size of a cell's text from its paragraphs, not from the table.
function word.sized(tab)
  local style = { ["custom-style"] = tab.classes:includes("dense") and "Table Text Dense" or "Table Text" }
  local function dress(rows)
    for _, row in ipairs(rows) do
      for _, cell in ipairs(row.cells) do
        if #cell.contents > 0 then cell.contents = { pandoc.Div(cell.contents, pandoc.Attr("", {}, style)) } end
      end
    end
  end
  dress(tab.head.rows)
  for _, body in ipairs(tab.bodies) do dress(body.body) end
  return tab
end

return word
