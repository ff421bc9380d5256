-- Captions as Word has them: a field that counts, so that figures and tables can be listed.

local word = {}
-- A table has no space under it in Word: a low paragraph stands in for it.
local AIR = '<w:p><w:pPr><w:spacing w:before="0" w:after="0" w:line="200" w:lineRule="exact"/></w:pPr></w:p>'
local BOLD = '<w:r><w:rPr><w:b/><w:bCs/></w:rPr><w:t xml:space="preserve">%s</w:t></w:r>'

function word.label(name, number)
  local field = '<w:fldSimple w:instr=" SEQ %s \\* ARABIC ">%s</w:fldSimple>'
  return pandoc.RawInline("openxml", BOLD:format(name .. "\u{a0}")
    .. field:format(name, BOLD:format(number)) .. BOLD:format(":"))
end

function word.exhibit(id, kind, caption, body)
  local attr = pandoc.Attr(id)
  if kind == "fig" then return { pandoc.Figure(body, { long = { pandoc.Plain(caption) } }, attr) } end
  local out = body:walk({
    Table = function(tab)
      tab.caption, tab.attr = { long = { pandoc.Plain(caption) } }, attr
      return tab
    end,
  })
  out:insert(pandoc.RawBlock("openxml", AIR))
  return out
end

-- Word takes the size of a cell's text from its paragraphs, not from the table: as paragraphs, for a
-- plain text in a cell gets a style of pandoc's, and without code, whose style has a size of its own.
-- An empty cell, too, has the size of the others, or its row would be the higher one.
function word.sized(tab)
  local style = { ["custom-style"] = tab.classes:includes("dense") and "Table Text Dense" or "Table Text" }
  local caption = tab.caption
  tab = tab:walk({
    Plain = function(text) return pandoc.Para(text.content) end,
    Code = function(code) return pandoc.Str(code.text) end,
  })
  tab.caption = caption
  local function dress(rows)
    for _, row in ipairs(rows) do
      for _, cell in ipairs(row.cells) do
        local blocks = #cell.contents > 0 and cell.contents or { pandoc.Para({ pandoc.Str("\u{a0}") }) }
        cell.contents = { pandoc.Div(blocks, pandoc.Attr("", {}, style)) }
      end
    end
  end
  local bodies = tab.bodies
  dress(tab.head.rows)
  for _, body in ipairs(bodies) do dress(body.body) end
  tab.bodies = bodies
  return tab
end

return word
