// Drawing with gnuplot.

#ifndef URGE_STRESS_COMMON_GNUPLOT_H_
#define URGE_STRESS_COMMON_GNUPLOT_H_

#include <ostream>
#include <sstream>
#include <string>
#include <string_view>

namespace stress {

// Whether gnuplot is in the PATH.
bool HaveGnuplot();

// `text` as a gnuplot string, safe from gnuplot's own markup.
std::string GnuplotQuote(std::string_view text);

// A picture as a gnuplot script that holds its data, so that it can be changed and drawn again.
//
//   Picture picture(directory, "slices");
//   picture.script() << "plot $data …\n";
//   picture.Draw();   // slices.gnuplot, slices.svg, slices.png
class Picture {
 public:
  Picture(std::string directory, std::string name);
  // The commands, which end with a plot.
  std::ostream& script() { return script_; }
  // Errors: std::runtime_error if gnuplot fails or a file can't be written.
  void Draw();

 private:
  const std::string directory_, name_;
  std::ostringstream script_;
};

}  // namespace stress

#endif  // URGE_STRESS_COMMON_GNUPLOT_H_
