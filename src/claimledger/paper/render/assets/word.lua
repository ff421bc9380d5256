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

return word
